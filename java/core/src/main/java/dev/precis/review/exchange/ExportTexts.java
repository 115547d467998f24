package dev.precis.review.exchange;

import dev.precis.review.comparison.ComparisonItem;
import dev.precis.review.comparison.ComparisonProject;
import dev.precis.text.PromptTemplate;

/** The texts of a project as an export shows them: as they are, or masked. */
final class ExportTexts {
  private final PromptTemplate template;
  private final TextMask mask; // null: texts are shown as they are

  ExportTexts(ComparisonProject project, boolean masked) {
    template = PromptTemplate.of(project.settings().template());
    mask = masked ? new TextMask(project.items()) : null;
  }

  OfItem of(ComparisonItem item) {
    return new OfItem(item, mask == null ? null : mask.of(item), template);
  }

  String annotator(String name) {
    return mask == null ? name : mask.annotator(name);
  }

  /** The texts of one item. */
  record OfItem(ComparisonItem item, TextMask.OfItem mask, PromptTemplate template) {
    String dialogue() {
      return shown(item.dialogue());
    }

    /** Returns the input of a model. */
    String prompt() {
      return item.raw() ? dialogue() : template.fill(dialogue());
    }

    String text(int index) {
      return shown(item.texts().get(index).text());
    }

    String candidate(int index) {
      return item.texts().get(index).candidate();
    }

    /** Returns a text of the item, or about it; null from null. */
    String shown(String text) {
      return mask == null || text == null ? text : mask.mask(text);
    }
  }
}
