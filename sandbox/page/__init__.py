"""The web page a newcomer sees: a small chat client for the simulated Discord."""

from sandbox.page.routes import add_page

__all__ = ["add_page"]
