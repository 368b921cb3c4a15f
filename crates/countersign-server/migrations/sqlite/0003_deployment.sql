CREATE TABLE IF NOT EXISTS countersign_deployment (
    name VARCHAR(64) NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
