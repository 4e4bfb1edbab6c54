"""Makes the files beside this one: `python make.py .` with pyarrow 26."""
import pyarrow as pa, pyarrow.parquet as pq, datetime, decimal, sys
out = sys.argv[1]
n = 300
utc = datetime.timezone.utc
t = pa.table({
  'id': pa.array(range(n), pa.int64()),
  'small': pa.array([i % 7 if i % 5 else None for i in range(n)], pa.int32()),
  'name': pa.array([f'name {i % 40}' if i % 3 else None for i in range(n)], pa.string()),
  'ratio': pa.array([i / 4 for i in range(n)], pa.float64()),
  'single': pa.array([i / 10 for i in range(n)], pa.float32()),
  'even': pa.array([i % 2 == 0 for i in range(n)], pa.bool_()),
  'day': pa.array([datetime.date(2026, 1, 1) + datetime.timedelta(days=i) for i in range(n)], pa.date32()),
  'at': pa.array([datetime.datetime(2026, 1, 1, tzinfo=utc) + datetime.timedelta(seconds=i) for i in range(n)], pa.timestamp('us', tz='UTC')),
  'price': pa.array([decimal.Decimal(i) / 100 for i in range(n)], pa.decimal128(10, 2)),
  'tags': pa.array([[f't{j}' for j in range(i % 4)] if i % 6 else None for i in range(n)], pa.list_(pa.string())),
  'place': pa.array([{'city': f'c{i%3}', 'zip': None if i % 2 else i} if i % 4 else None for i in range(n)], pa.struct([('city', pa.string()), ('zip', pa.int32())])),
})
def w(name, **k): pq.write_table(t, f'{out}/{name}.parquet', **k)
w('dictionary-snappy', compression='snappy', row_group_size=128)
w('plain-gzip-v2', compression='gzip', use_dictionary=False, data_page_version='2.0', data_page_size=512)
enc = {'id': 'DELTA_BINARY_PACKED', 'small': 'DELTA_BINARY_PACKED', 'name': 'DELTA_BYTE_ARRAY', 'ratio': 'BYTE_STREAM_SPLIT', 'single': 'BYTE_STREAM_SPLIT', 'even': 'RLE', 'tags.list.element': 'DELTA_LENGTH_BYTE_ARRAY'}
w('deltas-uncompressed', compression='none', use_dictionary=False, column_encoding=enc, version='2.6')
pq.write_table(t.select(['id','at']).slice(0, 5), f'{out}/int96.parquet', use_deprecated_int96_timestamps=True, compression='none')
pq.write_table(t.select(['id']).slice(0, 5), f'{out}/zstd.parquet', compression='zstd')
