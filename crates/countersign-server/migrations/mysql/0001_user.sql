-- A superset of the original's table, and adopts it: `created_at` (microseconds since 1970) is ours, and may be null.
CREATE TABLE IF NOT EXISTS `user` (
    id BINARY(16) NOT NULL,
    email VARCHAR(320) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    hashed_password VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    is_active BOOL NOT NULL,
    is_verified BOOL NOT NULL,
    is_superuser BOOL NOT NULL,
    totp_secret VARCHAR(255),
    sa_orm_sentinel INTEGER,
    created_at BIGINT,
    CONSTRAINT pk_user PRIMARY KEY (id),
    CONSTRAINT ix_user_email UNIQUE (email)
) ENGINE=InnoDB;
-- unless column user.created_at
ALTER TABLE `user` ADD COLUMN created_at BIGINT;
