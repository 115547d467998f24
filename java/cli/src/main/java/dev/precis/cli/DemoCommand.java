package dev.precis.cli;

import dev.precis.T5;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.generation.GenerationOptions;
import dev.precis.text.PromptTemplate;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Command;

@Command(
    name = "demo",
    header = "The built-in model at work, in seconds.",
    description = {
      "Summarises built-in dialogues with the built-in model, beside the summaries that people"
          + " wrote. Needs no download and takes seconds.",
      "The model is tiny (0.4 million parameters, a thousandth of FLAN-T5 base): it has learnt the"
          + " form of a summary, not the facts."
    },
    footer = {"", "Example:", "  precis demo"})
final class DemoCommand extends BaseCommand {
  private static final int SHOWN = 4;
  private static final int WIDTH = 78;
  private static final int COLUMN = 37;

  @Override
  public Integer call() {
    long start = System.nanoTime();
    try (BuiltIn builtIn = new BuiltIn();
        T5 model = T5.load(builtIn.model(), common().loadOptions())) {
      List<Dialogue> dialogues = choose(DialogueReader.read(builtIn.dialogues()));
      List<String> prompts =
          dialogues.stream().map(d -> PromptTemplate.DEFAULT.fill(d.dialogue())).toList();
      GenerationOptions options = GenerationOptions.builder().maxNewTokens(60).build();
      var summaries = model.generate(prompts, options);
      StringBuilder page = new StringBuilder();
      int tokens = 0;
      for (int i = 0; i < dialogues.size(); i++) {
        var generation = summaries.get(i).getFirst();
        tokens += generation.tokens().length;
        show(page, i + 1, dialogues.get(i), generation.text());
      }
      page.append(
          "%d summaries, %d tokens, %.1f s with loading, on %d %s (%s).%n"
              .formatted(
                  dialogues.size(),
                  tokens,
                  (System.nanoTime() - start) / 1e9,
                  model.device().threads(),
                  model.device().threads() == 1 ? "core" : "cores",
                  model.device().isa()));
      page.append("Next, a model that knows more:\n");
      page.append("  precis download google/flan-t5-base\n");
      page.append("  precis generate --model google/flan-t5-base --input dialogues.jsonl\n");
      terminal().print(page.toString());
      return DONE;
    }
  }

  /** The first few that are not all about the same thing. */
  private static List<Dialogue> choose(List<Dialogue> all) {
    List<Dialogue> chosen = new ArrayList<>();
    for (int i = 0; i < SHOWN; i++) {
      chosen.add(all.get(i * all.size() / SHOWN));
    }
    return chosen;
  }

  private static void show(StringBuilder page, int number, Dialogue dialogue, String summary) {
    String title = "-- Dialogue " + number + " ";
    page.append(title).append("-".repeat(WIDTH - title.length())).append('\n');
    for (String line : dialogue.dialogue().split("\n")) {
      TextLayout.wrap(line, WIDTH).forEach(part -> page.append(part).append('\n'));
    }
    page.append('\n');
    List<String> left = new ArrayList<>(List.of("THE MODEL"));
    left.addAll(TextLayout.wrap(summary, COLUMN));
    List<String> right = new ArrayList<>(List.of("A PERSON"));
    right.addAll(TextLayout.wrap(dialogue.summaries().getFirst(), COLUMN));
    page.append(TextLayout.sideBySide(left, right, COLUMN)).append('\n');
  }
}
