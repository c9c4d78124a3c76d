"""Writes what is public to ``public.txt``, after a change that is meant: ``-m tests.surface``."""

from tests.surface._listing import FILE, listing

FILE.write_text(listing())
print(f"wrote {FILE}")
