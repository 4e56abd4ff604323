"""git: the remote's refs and objects, leased atomic pushes, and this clone. The only package that imports GitPython.

Its values are refs, object ids and push results. `tags` decides what a ref means to a promotion.
"""
