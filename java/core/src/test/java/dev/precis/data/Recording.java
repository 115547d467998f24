package dev.precis.data;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Keeps what reading tells. */
final class Recording implements DataListener {
  final List<String> notes = new ArrayList<>();
  final Map<String, String> columns = new LinkedHashMap<>();
  long rows;
  long skipped;

  @Override
  public void note(String sentence) {
    notes.add(sentence);
  }

  @Override
  public void finished(Path data, long rows, long skipped, Map<String, String> columns) {
    this.rows = rows;
    this.skipped = skipped;
    this.columns.putAll(columns);
  }

  DataOptions options(BadRows policy) {
    return DataOptions.STRICT.withBadRows(policy).withListener(this);
  }

  DataOptions options(Columns columns) {
    return DataOptions.STRICT.withColumns(columns).withListener(this);
  }
}
