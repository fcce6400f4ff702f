"""The bus between servers: within one process, or over NATS."""
