"""What live sources of kart tracks have in common: connections of three kinds, and going on from one to the next.

`channel` is what a connection is, `websocket`, `tcp` and `polling` are the kinds there are and `opening` chooses among
them, `web` asks one question over HTTP, `sockets` ends what waits, `arrivals` dates what comes, `source` connects,
reads, notices silence and connects again. What comes means is the business of those who use it: `sources/apex`,
`sources/rmonitor`, `sources/described`.
"""
