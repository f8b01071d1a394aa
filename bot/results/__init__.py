"""Files that others made: fetched once, behind one guard, and kept until they are delivered."""
