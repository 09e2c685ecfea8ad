"""Seasons, races, results, drivers, constructors, circuits and standings over HTTP: what is stored of them."""
