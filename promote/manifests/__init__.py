"""The objects that a commit's tree would deploy, read from git alone, and how two trees differ. Uses no cluster."""
