package dev.precis.data.builtin;

import dev.precis.io.InvalidInputException;
import dev.precis.random.SplitMix64;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Short English dialogues in 27 situations (a table booked, a parcel lost, a birthday planned),
 * with reference summaries, made by the project so that small models can be trained, shown and
 * tested without anybody's data. Two to four people speak, numbered or by name. Names, numbers,
 * times and places are sampled for each dialogue, so that only reading it gives its summary; small
 * talk has some too, which belong in no summary. About every fifth dialogue has an insult in it.
 *
 * <p>The sentences are in {@code situations.txt} beside this class, free of rights (CC0 1.0), and
 * so is what is made of them. A seed gives the same dialogues on every machine; a larger count
 * begins with those of a smaller one. No dialogue is there twice.
 *
 * @param train eight of ten dialogues, with one to three references
 * @param validation every tenth, with three references
 * @param test every tenth, with three references
 */
public record BuiltInDialogues(
    List<BuiltInDialogue> train, List<BuiltInDialogue> validation, List<BuiltInDialogue> test) {
  /** The number of dialogues by default. */
  public static final int DEFAULT_COUNT = 5000;

  /** The most that are made. */
  public static final int MAX_COUNT = 1_000_000;

  private static final int SHORTEST_WORDS = 40;
  private static final int LONGEST_WORDS = 120;
  private static final int REFERENCES = 3;

  /**
   * Makes dialogues.
   *
   * @param count how many, in all three splits together
   * @throws InvalidInputException if count is not 10 to {@value #MAX_COUNT}
   */
  public static BuiltInDialogues generate(long seed, int count) {
    if (count < 10 || count > MAX_COUNT) {
      throw new InvalidInputException(
          "The number of dialogues must be 10 to %d, not %d".formatted(MAX_COUNT, count));
    }
    List<BuiltInDialogue> train = new ArrayList<>();
    List<BuiltInDialogue> validation = new ArrayList<>();
    List<BuiltInDialogue> test = new ArrayList<>();
    SplitMix64 random = new SplitMix64(seed);
    int i = 0;
    for (Scene.Draft draft : drafts(random, count)) {
      switch (i++ % 10) {
        case 8 -> validation.add(finish("validation_" + validation.size(), draft, REFERENCES));
        case 9 -> test.add(finish("test_" + test.size(), draft, REFERENCES));
        // The wordings are in random order: their number need not be sampled.
        default -> train.add(finish("train_" + train.size(), draft, 1 + i % REFERENCES));
      }
    }
    return new BuiltInDialogues(train, validation, test);
  }

  /** Returns the requested number of different dialogues. */
  static List<Scene.Draft> drafts(SplitMix64 random, int count) {
    Situations situations = Situations.load();
    List<Scene.Draft> drafts = new ArrayList<>();
    Set<String> seen = new HashSet<>();
    while (drafts.size() < count) {
      Scene.Draft draft = Scene.write(situations, random);
      int words = draft.dialogue().split("\\s+").length;
      if (words >= SHORTEST_WORDS && words <= LONGEST_WORDS && seen.add(draft.dialogue())) {
        drafts.add(draft);
      }
    }
    return drafts;
  }

  private static BuiltInDialogue finish(String id, Scene.Draft draft, int references) {
    List<String> summaries = new ArrayList<>();
    for (int i = 0; i < references; i++) {
      summaries.add(draft.with(i == 0 ? draft.rudeTail() : draft.politeTail(), i));
    }
    boolean rude = draft.rudeTail() != null;
    return new BuiltInDialogue(
        id,
        draft.dialogue(),
        summaries,
        draft.topic(),
        rude ? draft.with(draft.politeTail(), 0) : null,
        rude ? summaries.getFirst() : null);
  }
}
