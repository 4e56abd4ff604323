"""What three ways of waiting conclude on the same races of a real Argo CD, against what production then really is."""
