-- A person's history also tells of gift cards they bought and redeemed.
alter table payment
    drop constraint payment_kind_check,
    add constraint payment_kind_check check (kind in (
        'purchase', 'top_up', 'refund', 'dispute', 'sent', 'received', 'gift_card', 'redeemed'));
