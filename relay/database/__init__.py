"""The one SQLite file: its only write connection, the queue of write jobs, migrations, the data folder, and its care.

Owners of tables hand `Database` their jobs; nobody else sees the file. `open` in `database.py` is where to start reading.
"""
