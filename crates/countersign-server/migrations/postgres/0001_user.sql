-- A superset of the original's table, and adopts it: `created_at` (microseconds since 1970) is ours, and may be null.
CREATE TABLE IF NOT EXISTS "user" (
    id UUID NOT NULL,
    email VARCHAR(320) COLLATE "C" NOT NULL,
    hashed_password VARCHAR(255) NOT NULL,
    is_active BOOLEAN NOT NULL,
    is_verified BOOLEAN NOT NULL,
    is_superuser BOOLEAN NOT NULL,
    totp_secret VARCHAR(255),
    sa_orm_sentinel INTEGER,
    created_at BIGINT,
    CONSTRAINT pk_user PRIMARY KEY (id)
);
-- unless column user.created_at
ALTER TABLE "user" ADD COLUMN created_at BIGINT;
CREATE UNIQUE INDEX IF NOT EXISTS ix_user_email ON "user" (email);
