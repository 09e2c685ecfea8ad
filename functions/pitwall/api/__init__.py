"""PitWall over HTTP: the stored documents with long names, one file per resource.

Reads Firestore only. What is stored where is the business of `pitwall.documents`.
"""
