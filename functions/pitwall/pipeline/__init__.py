"""From messages to Firestore: ticks, the poller with its lease and checkpoint, publisher, writer and recorder.

Knows Google Cloud; knows neither what a feed means (`pitwall.timing`) nor what a document
looks like (`pitwall.documents`).
"""
