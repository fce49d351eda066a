"""The version of this release, for every layer; a test compares it with the distribution's."""

VERSION = "0.1.0"
