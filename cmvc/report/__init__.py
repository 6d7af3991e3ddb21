"""One page that shows streams beside their reference: what was spent where, and what came of it.

``gather`` measures, ``charts`` draws, ``page`` fills ``report.html``; the page needs nothing but itself.
"""
