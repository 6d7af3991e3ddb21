"""An application that uses the SDK; see ``send.py``."""
