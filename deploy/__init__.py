"""What brings PitWall to where it runs: the functions' bundle and the collector's image."""
