"""Music: files to songs, songs to a grid, a grid to tokens and bits that models learn, and all the way back.

Read ``song.py`` first, then ``vocabulary.py``, then ``sources.py``.
"""
