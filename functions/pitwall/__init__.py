"""PitWall: the open backend for motorsport live timing."""

VERSION = "0.1.0"
