"""The notebooks as a web site that needs no network: see build.py."""
