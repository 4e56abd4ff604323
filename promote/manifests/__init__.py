"""What a commit's tree would deploy, read from git alone, and how two trees differ. No cluster is asked."""
