//! Tables that have rows are changed beside those who use them, and a change that was cut short is gone on with.

mod ground;
mod mariadb;
mod measured;
mod planned;
mod postgres;
