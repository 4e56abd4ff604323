"""Argo CD as the embedded cluster runs it: comparing, syncing, sync windows, health."""
