"""Objects that somebody changed, with digests that fit: none may crash, hang, run or fill memory.

``make fuzz ARGS='-n 100000'`` reads so many of them, in processes of their own. A finding
is named by its number: ``python -m tests.fuzz -n 1 --first NUMBER`` repeats it.
"""
