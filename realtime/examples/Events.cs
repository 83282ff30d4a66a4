// Written from the JSON Schema of gscon.events/1 by `make schema`; do not edit.

using System.Collections.Generic;
using System.Runtime.Serialization;

namespace Gscon
{
    [DataContract]
    public class Event
    {
        [DataMember(Name = "type")]
        public string Type;
        [DataMember(Name = "schema")]
        public string Schema;
        [DataMember(Name = "session")]
        public string Session;
        [DataMember(Name = "seq")]
        public long Seq;
    }

    [DataContract]
    public class SessionStarted : Event
    {
        [DataMember(Name = "source")]
        public string Source;
        [DataMember(Name = "emotions")]
        public List<string> Emotions;
        [DataMember(Name = "model")]
        public ModelInfo Model;
        [DataMember(Name = "started_at")]
        public string StartedAt;
        [DataMember(Name = "kept")]
        public List<string> Kept;
    }

    [DataContract]
    public class ModelInfo
    {
        [DataMember(Name = "name")]
        public string Name;
        [DataMember(Name = "version")]
        public string Version;
    }

    [DataContract]
    public class SessionEnded : Event
    {
        [DataMember(Name = "duration")]
        public double Duration;
        [DataMember(Name = "utterances")]
        public long Utterances;
        [DataMember(Name = "complete")]
        public bool Complete;
    }

    [DataContract]
    public class SpeechStarted : Event
    {
        [DataMember(Name = "utterance")]
        public long Utterance;
        [DataMember(Name = "start")]
        public double Start;
    }

    [DataContract]
    public class UtteranceEvent : Event
    {
        [DataMember(Name = "utterance")]
        public UtteranceInfo Utterance;
        [DataMember(Name = "emotion")]
        public Emotion Emotion;
        [DataMember(Name = "modalities")]
        public Modalities Modalities;
        [DataMember(Name = "model")]
        public ModelInfo Model;
        [DataMember(Name = "latency")]
        public Latency Latency;
    }

    [DataContract]
    public class UtteranceInfo
    {
        [DataMember(Name = "id")]
        public long Id;
        [DataMember(Name = "start")]
        public double Start;
        [DataMember(Name = "end")]
        public double End;
        [DataMember(Name = "speaker")]
        public string Speaker;
        [DataMember(Name = "text")]
        public string Text;
        [DataMember(Name = "text_source")]
        public string TextSource;
        [DataMember(Name = "language")]
        public string Language;
        [DataMember(Name = "language_probability")]
        public double? LanguageProbability;
        [DataMember(Name = "stable_text")]
        public string StableText;
        [DataMember(Name = "words")]
        public List<TimedWord> Words;
        [DataMember(Name = "overlap")]
        public double? Overlap;
    }

    [DataContract]
    public class TimedWord
    {
        [DataMember(Name = "word")]
        public string Word;
        [DataMember(Name = "start")]
        public double Start;
        [DataMember(Name = "end")]
        public double End;
        [DataMember(Name = "probability")]
        public double Probability;
    }

    [DataContract]
    public class Emotion
    {
        [DataMember(Name = "label")]
        public string Label;
        [DataMember(Name = "confidence")]
        public double Confidence;
        [DataMember(Name = "probabilities")]
        public Dictionary<string, double> Probabilities;
        [DataMember(Name = "abstained")]
        public bool Abstained;
        [DataMember(Name = "prior")]
        public Dictionary<string, double> Prior;
        [DataMember(Name = "model_label")]
        public string ModelLabel;
    }

    [DataContract]
    public class Modalities
    {
        [DataMember(Name = "text")]
        public Modality Text;
        [DataMember(Name = "audio")]
        public Modality Audio;
        [DataMember(Name = "visual")]
        public Modality Visual;
    }

    [DataContract]
    public class Modality
    {
        [DataMember(Name = "present")]
        public bool Present;
        [DataMember(Name = "probabilities")]
        public Dictionary<string, double> Probabilities;
        [DataMember(Name = "reason")]
        public string Reason;
        [DataMember(Name = "face")]
        public long? Face;
        [DataMember(Name = "faces")]
        public long? Faces;
        [DataMember(Name = "faces_left_out")]
        public long? FacesLeftOut;
        [DataMember(Name = "left_out")]
        public string LeftOut;
    }

    [DataContract]
    public class Latency
    {
        [DataMember(Name = "end_of_speech_to_event")]
        public double EndOfSpeechToEvent;
        [DataMember(Name = "segmentation")]
        public double Segmentation;
        [DataMember(Name = "transcription")]
        public double Transcription;
        [DataMember(Name = "features")]
        public double Features;
        [DataMember(Name = "fusion")]
        public double Fusion;
    }

    [DataContract]
    public class Provisional : Event
    {
        [DataMember(Name = "utterance")]
        public UtteranceInfo Utterance;
        [DataMember(Name = "emotion")]
        public Emotion Emotion;
        [DataMember(Name = "modalities")]
        public Modalities Modalities;
        [DataMember(Name = "model")]
        public ModelInfo Model;
        [DataMember(Name = "latency")]
        public Latency Latency;
    }

    [DataContract]
    public class Gap : Event
    {
        [DataMember(Name = "time")]
        public double Time;
        [DataMember(Name = "what")]
        public string What;
        [DataMember(Name = "count")]
        public long Count;
        [DataMember(Name = "seconds")]
        public double Seconds;
        [DataMember(Name = "reason")]
        public string Reason;
    }

    [DataContract]
    public class Health : Event
    {
        [DataMember(Name = "time")]
        public double Time;
        [DataMember(Name = "stage")]
        public string Stage;
        [DataMember(Name = "status")]
        public string Status;
        [DataMember(Name = "detail")]
        public string Detail;
    }

    [DataContract]
    public class FaceEvent : Event
    {
        [DataMember(Name = "time")]
        public double Time;
        [DataMember(Name = "faces")]
        public List<TrackedFace> Faces;
    }

    [DataContract]
    public class TrackedFace
    {
        [DataMember(Name = "track")]
        public long Track;
        [DataMember(Name = "box")]
        public List<double> Box;
        [DataMember(Name = "speaks")]
        public bool Speaks;
        [DataMember(Name = "probabilities")]
        public Dictionary<string, double> Probabilities;
    }
}
