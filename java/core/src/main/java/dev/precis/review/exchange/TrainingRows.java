package dev.precis.review.exchange;

import dev.precis.io.Json;
import dev.precis.review.comparison.Choice;
import dev.precis.review.comparison.ComparisonItem;
import dev.precis.review.comparison.ComparisonProject;
import dev.precis.review.comparison.Preference;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/** Makes rows to train on: pairs, single judgments and edits. */
final class TrainingRows {
  private final ComparisonProject project;
  private final ExportTexts texts;

  TrainingRows(ComparisonProject project, ExportTexts texts) {
    this.project = project;
    this.texts = texts;
  }

  /** Returns a row for each pair of which more annotators prefer the one text. */
  List<ObjectNode> pairs() {
    List<ObjectNode> rows = new ArrayList<>();
    for (PairVotes votes : PairVotes.of(project)) {
      if (votes.winner() < 0) {
        continue;
      }
      ExportTexts.OfItem item = texts.of(votes.item());
      String chosen = item.text(votes.winner());
      String rejected = item.text(votes.loser());
      if (chosen.isBlank() || rejected.isBlank() || chosen.strip().equals(rejected.strip())) {
        continue; // nothing to learn from, or the same once it is masked
      }
      ObjectNode row = row(votes.item());
      row.put("prompt", item.prompt());
      row.put("chosen", chosen);
      row.put("rejected", rejected);
      if (votes.margin() != null) {
        row.put("margin", votes.margin());
      }
      row.put("votes_chosen", votes.votes(votes.winner()));
      row.put("votes_rejected", votes.votes(votes.loser()));
      rows.add(row);
    }
    return rows;
  }

  /**
   * Returns a row for each text that was preferred more often than not, or less often. Being called
   * bad, as one of two, counts as not being preferred.
   */
  List<ObjectNode> feedback() {
    Map<ComparisonItem, int[]> scores = new LinkedHashMap<>();
    for (PairVotes votes : PairVotes.of(project)) {
      int[] score = scores.computeIfAbsent(votes.item(), item -> new int[item.texts().size()]);
      for (Choice each : votes.choices()) {
        boolean bad = each.judgment().preference() == Preference.BOTH_BAD;
        score[votes.a()] += each.winner() == votes.a() ? 1 : each.winner() >= 0 || bad ? -1 : 0;
        score[votes.b()] += each.winner() == votes.b() ? 1 : each.winner() >= 0 || bad ? -1 : 0;
      }
    }
    List<ObjectNode> rows = new ArrayList<>();
    scores.forEach(
        (judged, score) -> {
          ExportTexts.OfItem item = texts.of(judged);
          for (int i = 0; i < score.length; i++) {
            if (score[i] != 0 && !item.text(i).isBlank()) {
              ObjectNode row = row(judged);
              row.put("prompt", item.prompt());
              row.put("completion", item.text(i));
              row.put("label", score[i] > 0);
              rows.add(row);
            }
          }
        });
    return rows;
  }

  /** Returns a row for each edit. */
  List<ObjectNode> edits() {
    List<ObjectNode> rows = new ArrayList<>();
    for (PairVotes votes : PairVotes.of(project)) {
      ExportTexts.OfItem item = texts.of(votes.item());
      for (Choice each : votes.choices()) {
        if (each.judgment().edit() != null) {
          ObjectNode row = row(votes.item());
          row.put(votes.item().raw() ? "prompt" : "dialogue", item.dialogue());
          row.put("summary", item.shown(each.judgment().edit()));
          rows.add(row);
        }
      }
    }
    return rows;
  }

  private static ObjectNode row(ComparisonItem item) {
    return Json.mapper().createObjectNode().put("id", item.id());
  }
}
