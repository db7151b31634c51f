-- Currencies that do not count in hundredths. Those that do are opened when a provider first names one.
insert into asset (code, decimals, kind) values
    ('BIF', 0, 'fiat'), ('DJF', 0, 'fiat'), ('GNF', 0, 'fiat'), ('KMF', 0, 'fiat'), ('MGA', 0, 'fiat'),
    ('PYG', 0, 'fiat'), ('RWF', 0, 'fiat'), ('VUV', 0, 'fiat'), ('XAF', 0, 'fiat'), ('XOF', 0, 'fiat'),
    ('XPF', 0, 'fiat'), ('IQD', 3, 'fiat'), ('JOD', 3, 'fiat'), ('LYD', 3, 'fiat')
on conflict (code) do nothing;
