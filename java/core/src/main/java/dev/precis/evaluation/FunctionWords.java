package dev.precis.evaluation;

import java.util.Set;

/** English words that say little about what a sentence is about. */
public final class FunctionWords {
  private static final Set<String> WORDS =
      Set.of(
          ("a an the this that these those there here it its itself he him his himself she her hers"
               + " herself they them their theirs themselves i me my mine myself you your yours"
               + " yourself we us our ours ourselves who whom whose which what when where why how"
               + " and or but nor so yet if then than because since while although though unless"
               + " until as of in on at by for with from to into onto upon about over under between"
               + " among through during before after above below up down out off again once also"
               + " too very really just only even still already quite rather much many more most"
               + " some any each every all both few several other another such own same be am is"
               + " are was were been being have has had having do does did doing done will would"
               + " shall should can could may might must ought let lets get gets got not no never"
               + " none nothing nobody neither n't don't doesn't didn't won't wouldn't can't cannot"
               + " couldn't shouldn't isn't aren't wasn't weren't haven't hasn't hadn't i'm you're"
               + " he's she's it's we're they're i've you've we've they've i'll you'll he'll she'll"
               + " we'll they'll i'd you'd he'd she'd we'd they'd that's there's what's let's oh ok"
               + " okay yes yeah well hi hello hey please thank thanks sorry sure right fine good"
               + " great nice bye mr mrs ms dr sir madam miss ask asks asked asking tell tells told"
               + " telling say says said saying talk talks talked talking speak speaks discuss"
               + " discusses discussing think thinks thought want wants wanted know knows knew go"
               + " goes going went come comes came make makes made take takes took give gives gave"
               + " see sees saw need needs like likes liked try tries tried one ones thing things"
               + " something anything everything someone anyone everyone people way lot bit kind"
               + " sort person")
              .split(" "));

  private FunctionWords() {}

  /** Returns whether a word, in small letters, is one of them. */
  public static boolean contains(String word) {
    return WORDS.contains(word);
  }
}
