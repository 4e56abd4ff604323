"""What a commit's tree would deploy: its Applications, what they render, and how that differs from another commit. Reads git objects only."""
