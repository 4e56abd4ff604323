"""The embedded world: real git over HTTP, a GitHub API and two clusters with Argo CD, on loopback. Imports nothing of promote and no vendor library,
so it shares none of the driver's errors."""
