-- Whose parts were taken back: who owns a seller that may get something again does not leave.
create index purchase_part_back on purchase_part (holder) where back > 0;
