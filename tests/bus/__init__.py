"""The bus between servers."""
