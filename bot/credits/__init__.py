"""What members and staff may do with credits."""
