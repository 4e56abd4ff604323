"""What people and machines are shown: live view, plain lines, the JSON document. Receives values; reads no settings, environment or cluster."""
