"""What is stored where: the document types, their paths, their schema and their encoding.

The one package that knows the layout of the database.
"""
