-- Of a payment that nobody got a part of, what a refund takes from the seller's own account at the rail: as agreed when
-- the payment began. Of any other its movement says so.
alter table refund add column of_seller numeric(39,0) check (of_seller between 0 and amount);
