"""How well raters agree: the numbers of the published evaluation (method.md section 6) and their figures.

``tables`` reads and aligns score and level tables, ``measures`` has the plain functions, ``bootstrap`` the intervals,
``report`` the whole comparison, ``levels`` and ``goh`` the levels and the Goh stage.
"""
