package dev.precis.review.exchange;

import dev.precis.io.CsvTable;
import dev.precis.review.comparison.Choice;
import dev.precis.review.comparison.ComparisonItem;
import dev.precis.review.comparison.ComparisonProject;
import dev.precis.review.comparison.Judgment;
import dev.precis.review.comparison.Ratings;
import dev.precis.review.comparison.RecordedChoice;
import java.util.ArrayList;
import java.util.List;

/** A table of all answers, hidden repeats and gold pairs included. */
final class ChoiceTable {
  private static final List<String> COLUMNS =
      List.of(
          "number",
          "at",
          "annotator",
          "item",
          "first",
          "second",
          "preference",
          "preferred",
          "confidence",
          "reason",
          "edit",
          "seconds",
          "selection",
          "probability",
          "first_text",
          "second_text");

  private ChoiceTable() {}

  static String write(ComparisonProject project, ExportTexts texts) {
    List<String> header = new ArrayList<>(COLUMNS);
    for (String place : List.of("first_", "second_")) {
      Ratings.AXES.forEach(axis -> header.add(place + axis));
    }
    CsvTable table = new CsvTable(header);
    for (RecordedChoice recorded : project.choices()) {
      table.row(row(recorded, project.itemOf(recorded), texts));
    }
    return table.text();
  }

  private static List<Object> row(
      RecordedChoice recorded, ComparisonItem compared, ExportTexts texts) {
    Choice choice = recorded.choice();
    Judgment judgment = choice.judgment();
    ExportTexts.OfItem item = texts.of(compared);
    List<Object> row = new ArrayList<>();
    row.add(recorded.number());
    row.add(recorded.at());
    row.add(texts.annotator(choice.annotator()));
    row.add(choice.item());
    row.add(item.candidate(choice.first()));
    row.add(item.candidate(choice.second()));
    row.add(judgment.preference().id());
    row.add(choice.winner() < 0 ? "" : item.candidate(choice.winner()));
    row.add(judgment.confidence());
    row.add(item.shown(judgment.reason()));
    row.add(item.shown(judgment.edit()));
    row.add(judgment.seconds());
    row.add(choice.selection().id());
    row.add(choice.probability());
    row.add(item.text(choice.first()));
    row.add(item.text(choice.second()));
    for (Ratings ratings : List.of(judgment.first(), judgment.second())) {
      Ratings.AXES.forEach(axis -> row.add(ratings.values().get(axis)));
    }
    return row;
  }
}
