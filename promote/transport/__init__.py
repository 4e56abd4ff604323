"""How a request reaches the outside: a deadline for a whole HTTP answer, retries of reads, child programs that end with their parent.

It knows no system by name: which answers may be asked for again is decided by the package that asks.
"""
