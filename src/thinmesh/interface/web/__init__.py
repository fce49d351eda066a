"""The pages: what a person sees of the mesh in a browser. Every page calls the same operations as the other doors."""

from .app import Pages

__all__ = ["Pages"]
