"""What a reader study says: agreement of the readers, ratings of heat maps, reading times.

``analysis`` is the whole of it; ``answer_tables`` turns answers into the tables of :mod:`..agreement`, ``comparing``
compares them, ``ratings`` and ``times`` count, ``figures`` draws the times, ``page`` makes one HTML.
"""
