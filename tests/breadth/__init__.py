"""Public types of other libraries: kept exactly, or refused at put; see `make test-breadth`.

None comes back different without a word, and none is taken that cannot be read: each is read in
the process that wrote it and in a fresh one, and compared as its library compares.
"""
