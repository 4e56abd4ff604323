"""GitHub: workflow runs, logs, rulesets, commit statuses and where a token comes from. The only package that imports PyGithub."""
