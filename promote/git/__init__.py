"""git: the remote's refs and objects, leased atomic pushes, and this clone. The only package that imports GitPython.

It speaks in refs, object ids and push results. What a ref means to a promotion is decided in `tags`.
"""
