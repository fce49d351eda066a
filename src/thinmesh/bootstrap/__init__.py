"""Joins adapters to planes: the only place that knows both."""

from .homes import NewHome, check_standalone, init_home, open_home, restore_home
from .platform import Platform

__all__ = ["NewHome", "Platform", "check_standalone", "init_home", "open_home", "restore_home"]
